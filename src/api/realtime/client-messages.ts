import type { Clock } from '../../shared/clock.ts'
import { type ClientMessage, clientMessage } from '../../shared/wire/realtime.ts'
import type { SocketEnd } from './socket-ends.ts'

/** A message that is fine, or why the socket has to end. */
type Taken =
  | { readonly message: ClientMessage; readonly end?: never }
  | { readonly message?: never; readonly end: SocketEnd }

export type MessageIntake = (text: Buffer, isBinary: boolean) => Taken

export type MessageLimits = {
  /** Messages that may come at once. */
  readonly messagesMax: number
  /** After so long one more may come. */
  readonly messageEveryMs: number
}

/** Checks what one client says, and how often. */
export function createMessageIntake(limits: MessageLimits, clock: Clock): MessageIntake {
  let left = limits.messagesMax
  let refilledMs = clock.nowMs()
  const takeToken = (): boolean => {
    const nowMs = clock.nowMs()
    const fresh = Math.max(0, nowMs - refilledMs) / limits.messageEveryMs
    left = Math.min(limits.messagesMax, left + fresh)
    refilledMs = nowMs
    if (left < 1) return false
    left -= 1
    return true
  }
  return (text, isBinary) => {
    if (!takeToken()) return { end: 'too_many_messages' }
    if (isBinary) return { end: 'not_text' }
    const json = parseJson(text.toString())
    if (json === undefined) return { end: 'not_json' }
    const { data } = clientMessage.safeParse(json)
    return data === undefined ? { end: 'not_understood' } : { message: data }
  }
}

/** JSON has no `undefined`, so that it can mean: not JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
