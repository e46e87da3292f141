/** What a route costs or gives away, and so how often it may be called. */
export type RateClass =
  | 'Read'
  | 'Write'
  | 'SignIn'
  | 'Code'
  | 'Upload'
  | 'Submit'
  | 'Export'
  | 'Object'

/** Requests within a window; `perIpMax` counts for who is not signed in. */
export type RateLimit = {
  readonly windowMs: number
  readonly perUserMax: number
  readonly perIpMax: number
}

const minuteMs = 60_000

/**
 * All limits in one place. A window is fixed: it begins with the first request in it. A person
 * counts on their own wherever they are; an address (of IPv6 its /64 network) may be an office, so
 * those limits are wider. `SignIn` bounds the password hashes that one address can ask for, `Code`
 * the mails; both have limits per mail address besides.
 */
export const rateLimits: Readonly<Record<RateClass, RateLimit>> = {
  Read: { windowMs: minuteMs, perUserMax: 1200, perIpMax: 1200 },
  Write: { windowMs: minuteMs, perUserMax: 240, perIpMax: 240 },
  SignIn: { windowMs: minuteMs, perUserMax: 60, perIpMax: 60 },
  Code: { windowMs: 15 * minuteMs, perUserMax: 20, perIpMax: 40 },
  Upload: { windowMs: minuteMs, perUserMax: 120, perIpMax: 120 },
  Submit: { windowMs: minuteMs, perUserMax: 600, perIpMax: 600 },
  Export: { windowMs: minuteMs, perUserMax: 6, perIpMax: 6 },
  Object: { windowMs: minuteMs, perUserMax: 6000, perIpMax: 6000 },
}

/**
 * Requests whose token is not valid, by address. The same token again counts only so often, so that
 * a forgotten script does not close the door for everybody in its office.
 */
export const badTokenLimit = { windowMs: minuteMs, perTokenMax: 20, perIpMax: 300 } as const
