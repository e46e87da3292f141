import { z } from 'zod'

/** Where a server listens. Port 0 lets the system choose. */
export type ListenAddress = { readonly host: string; readonly port: number }

const LISTEN = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/

/** `host:port`, `127.0.0.1:8080` or `[::1]:8080`. */
export const listenAddress = z.string().transform((text, context): ListenAddress => {
  const [, ipv6, host, port] = LISTEN.exec(text) ?? []
  if (port === undefined || Number(port) > 65_535) {
    context.addIssue('must be host:port, such as 127.0.0.1:8080')
    return z.NEVER
  }
  return { host: ipv6 ?? host ?? '', port: Number(port) }
})

/** http or https address without a slash at its end. */
export const baseUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http or https address' })
  .transform((url) => url.replace(/\/+$/, ''))

export const filePath = z.string().min(1).max(4096)

export const flag = z
  .enum(['true', 'false'], { error: 'must be true or false' })
  .transform((text) => text === 'true')

type Range = { readonly min: number; readonly max: number }

/** A whole number inside bounds, written in decimal digits. */
export function wholeNumber({ min, max }: Range) {
  const error = `must be a whole number from ${min} to ${max}`
  return z
    .string()
    .regex(/^\d{1,15}$/, { error })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error })
}

export const logLevel = z.enum(['debug', 'info', 'warn', 'error'], {
  error: 'must be debug, info, warn or error',
})
