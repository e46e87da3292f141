import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { splitLines } from '../../../../src/platform/kube/lines.ts'
import { parseWatchEvent } from '../../../../src/platform/kube/watch-event.ts'

async function* chunksOf(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function collect(lines: AsyncIterable<string>): Promise<readonly string[]> {
  const all: string[] = []
  for await (const line of lines) all.push(line)
  return all
}

describe('splitLines', () => {
  it('finds the same lines wherever the network cuts, also inside a character', async () => {
    const line = fc.string({ unit: 'grapheme', minLength: 1 }).map((s) => s.replaceAll('\n', ' '))
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.integer({ min: 1, max: 9 }), async (lines, size) => {
        const bytes = new TextEncoder().encode(lines.map((each) => `${each}\n`).join(''))
        expect(await collect(splitLines(chunksOf(bytes, size)))).toEqual(lines)
      }),
    )
  })

  it('gives a last line without its end', async () => {
    const bytes = new TextEncoder().encode('a\n\nb')
    expect(await collect(splitLines(chunksOf(bytes, 2)))).toEqual(['a', 'b'])
  })

  it('gives up on a line without bounds', async () => {
    const chunk = new Uint8Array(1024 * 1024).fill(97)
    async function* endless() {
      for (let time = 0; time < 100; time += 1) yield chunk
    }
    await expect(collect(splitLines(endless()))).rejects.toMatchObject({
      reason: 'TooLarge',
    })
  })
})

describe('parseWatchEvent', () => {
  it('keeps the object as it is', () => {
    const object = { metadata: { name: 'a', resourceVersion: '1', labels: { x: 'y' } }, data: {} }
    expect(parseWatchEvent(JSON.stringify({ type: 'ADDED', object }))).toEqual({
      type: 'ADDED',
      object,
    })
  })

  it.each([
    '',
    '{',
    'null',
    '{"type":"ADDED"}',
    '{"type":"ADDED","object":{"metadata":{}}}',
    '{"type":"ADDED","object":{"metadata":{"resourceVersion":"x1"}}}',
    '{"type":"SYNCED","object":{"metadata":{"resourceVersion":"1"}}}',
  ])('refuses %s', (line) => {
    expect(() => parseWatchEvent(line)).toThrow('not an event')
  })
})
