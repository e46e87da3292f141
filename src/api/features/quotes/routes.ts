import { jobRequest } from '../../../shared/wire/job-requests.ts'
import { quoteView } from '../../../shared/wire/quotes.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { QuoteService } from './service.ts'

export function registerQuoteRoutes(app: ApiApp, quotes: QuoteService): void {
  app.post(
    '/v1/quotes',
    {
      config: {
        permission: 'jobs.create',
        rateClass: 'Submit',
        problems: ['request.too_large', 'request.media_type', 'model.not_found'],
      },
      schema: {
        tags: ['Credits'],
        operationId: 'createQuote',
        summary: 'Ask what a job would cost',
        description:
          'Holds nothing. For 10 minutes a job of the same request costs no more when it names the ' +
          'quote. Too few credits are no error: `missing` says how many.',
        body: jobRequest,
        response: { 201: answer('The price and what it leaves', quoteView) },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await quotes.create(callerOf(request), request.body)),
  )
}
