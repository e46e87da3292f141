import { crc32, deflateSync } from 'node:zlib'
import { assert } from '../../shared/assert.ts'
import type { Picture } from '../images/picture.ts'

const signature = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10)
const rgb = 2

/**
 * Writes an 8-bit RGB PNG with text chunks. Our own writer because the library at hand writes
 * tEXt only, which is Latin-1, and prompts come in every script: those need iTXt (UTF-8).
 */
export function encodePng(picture: Picture, texts: Readonly<Record<string, string>> = {}): Buffer {
  const { width, height, pixels } = picture
  assert(pixels.length === width * height * 3, 'a picture has three bytes per pixel')
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, rgb, 0, 0, 0], 8)
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    ...Object.entries(texts).map(([keyword, text]) => textChunk(keyword, text)),
    chunk('IDAT', deflateSync(filterRows(picture))),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** Each row is the difference to the row above (filter 2), which suits photographs. */
function filterRows({ width, height, pixels }: Picture): Uint8Array {
  const stride = width * 3
  const rows = new Uint8Array((stride + 1) * height)
  for (let y = 0; y < height; y++) {
    const to = y * (stride + 1)
    rows[to] = 2
    for (let x = 0; x < stride; x++) {
      const above = y === 0 ? 0 : pixels[(y - 1) * stride + x]
      rows[to + 1 + x] = pixels[y * stride + x] - above
    }
  }
  return rows
}

function textChunk(keyword: string, text: string): Buffer {
  assert(/^[ -~]{1,79}$/.test(keyword), 'a PNG keyword is 1 to 79 printable characters')
  if (/^[\n\u0020-\u007e\u00a1-\u00ff]*$/.test(text)) {
    return chunk('tEXt', Buffer.from(`${keyword}\0${text}`, 'latin1'))
  }
  // Keyword, uncompressed, no language, no translated keyword, text.
  return chunk('iTXt', Buffer.from(`${keyword}\0\0\0\0\0${text}`, 'utf8'))
}

function chunk(type: string, body: Uint8Array): Buffer {
  const framed = Buffer.alloc(body.length + 12)
  framed.writeUInt32BE(body.length, 0)
  framed.write(type, 4, 'latin1')
  framed.set(body, 8)
  framed.writeUInt32BE(crc32(framed.subarray(4, body.length + 8)), body.length + 8)
  return framed
}
