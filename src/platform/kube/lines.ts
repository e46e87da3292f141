import { KubeError } from './errors.ts'

/** An object in etcd is at most 1.5 MiB; as JSON with managed fields it stays well below this. */
const LINE_CHARACTERS_MAX = 16 * 1024 * 1024

/** Splits a byte stream into lines without their ends; empty lines are left out. */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>): AsyncIterable<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of chunks) {
    const parts = decoder.decode(chunk, { stream: true }).split('\n')
    parts[0] = rest + (parts[0] ?? '')
    rest = parts.pop() ?? ''
    if (rest.length > LINE_CHARACTERS_MAX) {
      throw new KubeError({
        status: 500,
        reason: 'TooLarge',
        message: 'a watch event is too large',
      })
    }
    for (const line of parts) if (line !== '') yield line
  }
  rest += decoder.decode()
  if (rest !== '') yield rest
}
