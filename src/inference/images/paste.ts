import { assert } from '../../shared/assert.ts'
import { fitPicture } from './fit-picture.ts'
import type { Mask } from './mask.ts'
import { isSameSize, type Picture } from './picture.ts'
import type { Region } from './resize.ts'

/** Where a painted picture belongs, and how much of it shows: the mask is the original's size. */
export type Patch = { readonly region: Region; readonly mask: Mask }

/**
 * Puts a painted picture back into the original's region, mixed by the mask: 255 is all paint.
 * Brought to the region's size first (Fill undoes the Fit that made it, as in diffusers). Where
 * the mask is 0, and outside of the region, the bytes are the original's.
 */
export function pastePicture(original: Picture, painted: Picture, patch: Patch): Picture {
  const { region, mask } = patch
  assert(isSameSize(original, mask), 'a patch has a mask of the size of its picture')
  const { width, height } = region
  const { picture } = fitPicture(painted, { width, height, mode: 'Fill', field: 'painted' })
  const pixels = Uint8Array.from(original.pixels)
  for (let at = 0; at < width * height; at++) {
    const x = region.left + (at % width)
    const y = region.top + Math.floor(at / width)
    const to = y * original.width + x
    for (let channel = 0; channel < 3; channel++) {
      const paint = picture.pixels[at * 3 + channel]
      pixels[to * 3 + channel] = mix(pixels[to * 3 + channel], paint, mask.values[to])
    }
  }
  return { ...original, pixels }
}

function mix(below: number, paint: number, share: number): number {
  return Math.round((below * (255 - share) + paint * share) / 255)
}
