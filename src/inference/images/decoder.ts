import sharp from 'sharp'

/** libvips loads what it recognises; these three are what we let it recognise. */
const loaders = [
  'VipsForeignLoadPngBuffer',
  'VipsForeignLoadJpegBuffer',
  'VipsForeignLoadWebpBuffer',
]

let isLimited = false

/**
 * sharp, set once for the process: no cache and one thread, so that memory follows the picture at
 * hand, and no loader but those of PNG, JPEG and WebP.
 */
export function openDecoder(): typeof sharp {
  if (isLimited) return sharp
  sharp.cache(false)
  sharp.concurrency(1)
  sharp.block({ operation: ['VipsForeignLoad'] })
  sharp.unblock({ operation: loaders })
  isLimited = true
  return sharp
}
