const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

/** Bounds of every code that comes by mail. */
export const codeLimits = {
  digits: 6,
  lifeMs: 10 * MINUTE_MS,
  /** Wrong or right: the try after these is refused. */
  triesMax: 5,
  /** Codes mailed in `windowMs`, to one address and on behalf of one network each. */
  sendsMax: 3,
  windowMs: 15 * MINUTE_MS,
  /** Codes mailed to one address in `dayMs`: this bounds what patience can guess. */
  sendsPerDayMax: 10,
  dayMs: DAY_MS,
} as const

export const codeMinutes = codeLimits.lifeMs / MINUTE_MS
/** What everybody is told who asks for a code. */
export const codeSent = { expiresIn: codeLimits.lifeMs / 1000, digits: codeLimits.digits } as const

type GuessLimits = Pick<typeof codeLimits, 'digits' | 'triesMax'>

/**
 * Probability to guess one code before its tries are used up: tries / 10^digits = 5e-6, as no try
 * tells anything about the others.
 */
export function guessProbability({ digits, triesMax }: GuessLimits = codeLimits): number {
  return triesMax / 10 ** digits
}

/**
 * Probability to guess any code of one address in a year of never pausing: 1 - (1 - p)^codes. With
 * 10 codes a day that is 1.8 %, and its owner sees 10 mails a day. Without the bound of a day the
 * 3 codes per 15 minutes would make it 41 %.
 */
export function yearlyGuessProbability(codesPerDay: number = codeLimits.sendsPerDayMax): number {
  return 1 - (1 - guessProbability()) ** (365 * codesPerDay)
}
