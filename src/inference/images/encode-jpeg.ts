import { openDecoder } from './decoder.ts'
import type { Picture } from './picture.ts'

/** Writes a JPEG without metadata, for previews. `quality` is 1 to 100. */
export async function encodeJpeg(
  { width, height, pixels }: Picture,
  { quality }: { readonly quality: number },
): Promise<Uint8Array> {
  return await openDecoder()(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality })
    .toBuffer()
}
