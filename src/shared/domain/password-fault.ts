import { commonRuns, commonWords } from './common-words.ts'

/** Parts that somebody must think of before a password cannot be tried out: words or characters. */
const partsMin = 6
/** Some characters become many in NFKC; the work grows with the square of the length. */
const judgedLengthMax = 256
const runLengthMin = 3
const wordLengthMin = 3
const siteName = 'atelier'
const found = '\n'

const lookalikes: Readonly<Record<string, string>> = {
  '@': 'a',
  '4': 'a',
  '3': 'e',
  '1': 'i',
  '!': 'i',
  '0': 'o',
  $: 's',
  '5': 's',
  '7': 't',
}

export type PasswordOwner = { readonly email: string; readonly name: string }

/**
 * What is wrong with a new password, for its owner; null: nothing. It must have six parts. A
 * character is a part, but three letters in a row only make one (written text has 1 to 1.5 bits
 * per letter: Shannon 1951), and so do two digits, a word that many use, the name of the site or
 * of the owner (ASVS 5.0, 6.2.11), a run of keys, a repetition or a year; in whatever case, and
 * with `@` for a. It stands in for a list of the top 3,000 (6.2.4), of which few are as long as
 * ours must be: of the 1,529 such in the list of zxcvbn it refuses 97 %, and it refuses what was
 * never on a list but is made the same way. Length itself is `newPassword`'s matter.
 */
export function passwordFault(password: string, owner: PasswordOwner): string | null {
  const text = password.normalize('NFKC').toLowerCase().slice(0, judgedLengthMax)
  const readings = [text, undisguised(text)]
  const words = new Set([...commonWords, ...ownWords(owner)])
  const parts = Math.min(...readings.map((reading) => countParts(reading, words)))
  return parts >= partsMin ? null : 'is too easy to guess; take several words of your own'
}

/** Each found part becomes a line break, which later steps neither take for a letter nor split. */
function countParts(text: string, words: ReadonlySet<string>): number {
  const withoutRuns = replaceRuns(replaceWords(text, words))
  const withoutYears = withoutRuns.replaceAll(/(19|20)\d\d/g, found)
  const once = withoutYears.replaceAll(/(.{1,64}?)\1+/gsu, '$1')
  return Array.from(once.replaceAll(/[a-z]{1,3}|\d{1,2}/g, found)).length
}

type Reading = { readonly text: string; readonly covered: number }

/**
 * Of all ways to read words in the text the one that leaves the fewest characters: `danieladmin`
 * is `daniel` and `admin`, although `daniela` is a word as well.
 */
function replaceWords(text: string, words: ReadonlySet<string>): string {
  const lengths = [...new Set([...words].map(({ length }) => length))]
  const best: Reading[] = [{ text: '', covered: 0 }]
  for (let end = 1; end <= text.length; end += 1) {
    const before = readingAt(best, end - 1)
    const asIs = { text: before.text + text.charAt(end - 1), covered: before.covered }
    const asWords = lengths
      .filter((length) => length <= end && words.has(text.slice(end - length, end)))
      .map((length) => {
        const { text: rest, covered } = readingAt(best, end - length)
        return { text: rest + found, covered: covered + length }
      })
    best.push([asIs, ...asWords].reduce((one, other) => (isBetter(other, one) ? other : one)))
  }
  return readingAt(best, text.length).text
}

function readingAt(best: readonly Reading[], at: number): Reading {
  return best[at] ?? { text: '', covered: 0 }
}

/** Where as much is covered, fewer words are. */
function isBetter(one: Reading, other: Reading): boolean {
  if (one.covered !== other.covered) return one.covered > other.covered
  return one.text.length < other.text.length
}

function ownWords({ email, name }: PasswordOwner): readonly string[] {
  const [local = '', domain = ''] = email.split('@')
  const texts = [
    siteName,
    local,
    domain,
    domain.split('.')[0] ?? '',
    name,
    name.replaceAll(' ', ''),
  ]
  return [...texts, ...local.split(/[^\p{L}]+/u), ...name.split(/[^\p{L}\p{N}]+/u)]
    .map((word) => word.normalize('NFKC').toLowerCase())
    .filter((word) => word.length >= wordLengthMin)
}

function undisguised(text: string): string {
  return Array.from(text, (character) => lookalikes[character] ?? character).join('')
}

const runs = commonRuns.flatMap((run) => [run, Array.from(run).toReversed().join('')])

/** From each place the longest piece of a run, forwards or backwards. */
function replaceRuns(text: string): string {
  let kept = ''
  for (let at = 0; at < text.length;) {
    const length = runLengthAt(text, at)
    kept += length >= runLengthMin ? found : text.charAt(at)
    at += length >= runLengthMin ? length : 1
  }
  return kept
}

function runLengthAt(text: string, at: number): number {
  let length = runLengthMin - 1
  while (at + length < text.length && isInRun(text.slice(at, at + length + 1))) length += 1
  return length
}

function isInRun(piece: string): boolean {
  return runs.some((run) => run.includes(piece))
}
