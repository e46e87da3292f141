/** Reads the text chunks (tEXt, and uncompressed iTXt) of a PNG by keyword. */
export function readPngTexts(png: Uint8Array): Readonly<Record<string, string>> {
  const bytes = Buffer.from(png.buffer, png.byteOffset, png.byteLength)
  const texts: Record<string, string> = {}
  let at = 8
  while (at + 12 <= bytes.length) {
    const end = at + 8 + bytes.readUInt32BE(at)
    const text = readText(bytes.toString('latin1', at + 4, at + 8), bytes.subarray(at + 8, end))
    if (text !== undefined) texts[text.keyword] = text.value
    at = end + 4
  }
  return texts
}

type Text = { readonly keyword: string; readonly value: string }

function readText(type: string, body: Buffer): Text | undefined {
  const keywordEnd = body.indexOf(0)
  const keyword = body.toString('latin1', 0, keywordEnd)
  if (type === 'tEXt') return { keyword, value: body.toString('latin1', keywordEnd + 1) }
  if (type !== 'iTXt' || body[keywordEnd + 1] !== 0) return undefined
  const languageEnd = body.indexOf(0, keywordEnd + 3)
  const translatedEnd = body.indexOf(0, languageEnd + 1)
  return { keyword, value: body.toString('utf8', translatedEnd + 1) }
}
