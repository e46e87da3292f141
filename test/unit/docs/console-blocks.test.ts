import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { normalise, readTranscripts, toPattern } from '../../support/console-blocks.ts'

const command = 'kubectl get atpool'
const page = { command, printed: 'NAME   READY   AGE\ndemo   1       46s' }
const says = (printed: string) => normalise({ command, printed })

describe('a transcript', () => {
  test('is read from console blocks only, with commands of several lines', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'atelier-transcripts-'))
    const path = join(folder, 'page.md')
    const blocks = [
      'text\n```console\n$ cat <<END\n> a\n> END\na\n$ true\n```',
      '```sh\n$ no\n```',
      '```console\n$ echo b\nb\n\nc\n```\n',
    ]
    await writeFile(path, blocks.join('\n'))
    expect(await readTranscripts(path)).toEqual([
      { command: 'cat <<END\na\nEND', printed: 'a' },
      { command: 'true', printed: '' },
      { command: 'echo b', printed: 'b\n\nc' },
    ])
    await rm(folder, { recursive: true })
  })

  test.each([
    ['the same', page.printed],
    ['another age and other columns', 'NAME     READY AGE\ndemo     1     2m3s\n'],
  ])('holds for %s', (_what, printed) => {
    expect(says(printed)).toMatch(toPattern(page))
  })

  test.each([
    ['another number', 'NAME   READY   AGE\ndemo   2       46s'],
    ['one more line', `${page.printed}\nmore   1   3s`],
    ['a line less', 'NAME   READY   AGE'],
    ['nothing', ''],
  ])('does not hold for %s', (_what, printed) => {
    expect(says(printed)).not.toMatch(toPattern(page))
  })

  test('leaves out any lines, or none, where it says so', () => {
    const short = toPattern({ command, printed: 'a\n…\nd' })
    for (const printed of ['a\nd', 'a\nb\nc\nd']) expect(says(printed)).toMatch(short)
    for (const printed of ['a\nb', 'b\nd', 'a\nd\ne']) expect(says(printed)).not.toMatch(short)
  })
})
