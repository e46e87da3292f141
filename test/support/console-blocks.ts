import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'

/** A command of a page and what it prints, as the page has it. */
export type Transcript = { readonly command: string; readonly printed: string }

/**
 * The commands of all ```console blocks, in order. A line that begins with `$ ` is one, those with
 * `> ` continue it, and what follows is what it prints.
 */
export async function readTranscripts(path: string): Promise<readonly Transcript[]> {
  const text = await readFile(path, 'utf8')
  const blocks = [...text.matchAll(/```console\n([\s\S]*?)```/g)].map((match) => match[1] ?? '')
  return blocks.flatMap((block) => block.split(/^\$ /m).slice(1).map(readTranscript))
}

function readTranscript(text: string): Transcript {
  const [first = '', ...rest] = text.trimEnd().split('\n')
  const end = rest.findIndex((line) => !line.startsWith('> '))
  const continued = (end < 0 ? rest : rest.slice(0, end)).map((line) => line.slice(2))
  const printed = end < 0 ? [] : rest.slice(end)
  return { command: [first, ...continued].join('\n'), printed: printed.join('\n') }
}

export type Shell = {
  /** Put before each command, such as functions that stand for programs. */
  readonly prelude: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** What the command prints in a bash in the project's folder. Fails when the command does. */
export async function runCommand(command: string, shell: Shell): Promise<string> {
  return await new Promise((resolve, reject) => {
    execFile(
      'bash',
      ['-c', `set -euo pipefail\n${shell.prelude}\n${command}`],
      { env: shell.environment, timeout: 120_000 },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout)
        else reject(new Error(`$ ${command}\n${stderr}`, { cause: error }))
      },
    )
  })
}

/** What differs from one run to the next, and what stands for it in a comparison. */
const moving: readonly (readonly [RegExp, string])[] = [
  [/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>'],
  [/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, '<uid>'],
  [/\b(pool-[a-z]+)-[a-z0-9]+-[a-z0-9]{5}\b/g, '$1-<pod>'],
  [/\b(atelier-node)-\d+\b/g, '$1-<number>'],
  [/\b127(\.\d{1,3}){3}\b/g, '<address>'],
  [/"pid":\d+/g, '"pid":<number>'],
  [/\b[0-9a-f]{64}\b/g, '<digest>'],
  [/\b(\d+[dhm])*\d+[dhms]\b/g, '<age>'],
  [/\b\d+\/100\b/g, '<some>/100'],
  // Columns are as wide as their widest word.
  [/[ \t]+/g, ' '],
  [/ $/gm, ''],
]

/** The command and what it printed, without what moves. */
export function normalise({ command, printed }: Transcript): string {
  const trimmed = printed.trim()
  const lines = moving.reduce((done, [pattern, by]) => done.replaceAll(pattern, by), trimmed)
  return `$ ${command}\n${lines}\n`
}

/** For what `normalise` yields. A line `…` of the page stands for any lines, or none. */
export function toPattern(transcript: Transcript): RegExp {
  const lines = normalise(transcript).trimEnd().split('\n')
  const patterns = lines.map((line) => (line === '…' ? '(?:.*\\n)*?' : `${escape(line)}\\n`))
  return new RegExp(`^${patterns.join('')}$`)
}

function escape(line: string): string {
  return line.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&')
}
