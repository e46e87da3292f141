import { accessEndedCode, ticketView, watchedJobsMax } from '../../../shared/wire/realtime.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { TicketService } from './service.ts'

const description = `A ticket opens one WebSocket within 30 seconds: connect to \`url\`, with
\`&cursor=…\` to resume. A socket is never opened by a cookie or token alone, and a browser must
come from this site or an allowed one.

The server sends one JSON text per message, with the envelopes of the event stream of a job:

- \`{"event":"hello","cursor":"…","heartbeatSeconds":15}\` first;
- \`{"event":"job","id":7,"data":{…}}\`: one of your jobs as it is now; the higher \`id\` counts;
- \`{"event":"progress","id":7,"jobId":"…","data":{…}}\` between two of those;
- \`{"event":"notification","id":"…","data":{…}}\`;
- \`{"event":"cursor","cursor":"…"}\`: all before it has been told. Send the newest one when you
  connect again, and you are told what changed since, some of it twice;
- \`{"event":"reset"}\`: too much has changed; the newest jobs follow, read the lists again;
- \`{"event":"error","data":{"code":"job.not_found",…}}\`.

A client may send \`{"type":"watch","jobs":["…"]}\` to get the pictures that grow in up to
${watchedJobsMax} jobs that it may see. Messages end at 64 KiB.

Close codes: 1001 the server stops, 1003/1007/1008/1009 a message was not acceptable, 1013 you read
too slowly, ${accessEndedCode} with reason \`session_ended\` (sign in again) or \`access_changed\`
(take a new ticket).`

export function registerTicketRoutes(app: ApiApp, tickets: TicketService): void {
  app.post(
    '/v1/realtime/tickets',
    {
      config: { permission: 'realtime.connect' },
      schema: {
        tags: ['Realtime'],
        operationId: 'createRealtimeTicket',
        summary: 'Get a ticket for a WebSocket',
        description,
        response: { 201: answer('The ticket, good for one socket', ticketView) },
      },
    },
    async (request, reply) => reply.code(201).send(tickets.issue(callerOf(request))),
  )
}
