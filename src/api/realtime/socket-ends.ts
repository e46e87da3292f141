import { accessEndedCode } from '../../shared/wire/realtime.ts'

/** Why sockets end: the metrics' label, and the close code with its reason for the client. */
export const socketEnds = {
  client_gone: 1000,
  not_text: 1003,
  not_json: 1007,
  not_understood: 1008,
  too_many_messages: 1008,
  server_stop: 1001,
  slow_reader: 1013,
  /** Its connection is cut: nobody would read a reason. */
  dead_peer: 1001,
  session_ended: accessEndedCode,
  access_changed: accessEndedCode,
} as const
export type SocketEnd = keyof typeof socketEnds
