/** The three formats that are read; everything else is named so that its sender understands. */
export type PictureFormat = 'PNG' | 'JPEG' | 'WebP'

type FileKind =
  | { readonly kind: 'Picture'; readonly format: PictureFormat }
  | { readonly kind: 'Other'; readonly name: string }

const others: readonly (readonly [string, RegExp])[] = [
  ['an empty file', /^$/],
  ['a GIF file', /^GIF8/],
  ['a TIFF file', /^(II[*+]\0|MM\0[*+])/],
  ['a PDF file', /^%PDF/],
  ['a BMP file', /^BM/],
  ['an AVIF or HEIC file', /^[^]{4}ftyp/],
  ['an SVG file', /^[\xef\xbb\xbf\s]*<(svg\b|[^]*<svg\b)/i],
  ['an HTML or XML file', /^[\xef\xbb\xbf\s]*</],
]

/**
 * Tells a file by its first 512 bytes, before a decoder sees it. The name it was uploaded with
 * says nothing: a GIF that is also a script begins as a GIF and is refused as one.
 */
export function recogniseFile(bytes: Uint8Array): FileKind {
  const start = Buffer.from(bytes.subarray(0, 512)).toString('latin1')
  const format = pictureFormat(start)
  if (format !== undefined) return { kind: 'Picture', format }
  const other = others.find(([, magic]) => magic.test(start))
  return { kind: 'Other', name: other?.[0] ?? 'a file of another kind' }
}

function pictureFormat(start: string): PictureFormat | undefined {
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return 'PNG'
  if (start.startsWith('\xff\xd8\xff')) return 'JPEG'
  if (start.startsWith('RIFF') && start.startsWith('WEBP', 8)) return 'WebP'
  return undefined
}
