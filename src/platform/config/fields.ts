import { isIPv6 } from 'node:net'
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

/**
 * The same for `$(POD_IP):8080`, where nobody can put brackets around IPv6 addresses only: what
 * stands before the last colon may be a bare one.
 */
export const podListenAddress = z
  .string()
  .transform((text) => {
    const end = text.lastIndexOf(':')
    const host = text.slice(0, Math.max(0, end))
    return isIPv6(host) ? `[${host}]${text.slice(end)}` : text
  })
  .pipe(listenAddress)

/** http or https address without a slash at its end. */
export const baseUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http or https address' })
  .transform((url) => url.replace(/\/+$/, ''))

export const filePath = z.string().min(1).max(4096)

export const mongodbAddress = z.string().regex(/^mongodb(\+srv)?:\/\/[^/]+\/[^/?]+/, {
  error: 'must be a mongodb:// address that ends in a database name',
})

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

/** Comma-separated items, none by default; blanks around them do not count. */
export function listOf<Item extends z.ZodType<unknown, string>>(item: Item) {
  return z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .pipe(z.array(item).max(64))
    .optional()
    .transform((items) => items ?? [])
}

/** Scheme, host and port of a site, as browsers send it in `Origin`. */
export const originAddress = z
  .url({ protocol: /^https?$/, error: 'must be an origin such as https://atelier.example' })
  .refine((url) => new URL(url).origin === url, { error: 'must have no path' })

/** An address or a network in CIDR form. */
export const network = z
  .union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()])
  .meta({ error: 'must be an address or a network such as 10.0.0.0/8' })
