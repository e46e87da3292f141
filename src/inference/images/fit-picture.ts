import { type Picture, toPicture, toRaster } from './picture.ts'
import { describePlacement, type FitOptions, placeRaster, planPlacement } from './placement.ts'

/** A picture of the wanted size, and what was done to bring it there. */
export type FittedPicture = { readonly picture: Picture; readonly changes: readonly string[] }

const filter = 'Lanczos'

/**
 * Brings a picture to `width` × `height` (Lanczos). Fit keeps all of it and repeats its edge
 * pixels outwards, Fill covers the target and crops the middle, Stretch changes its proportions.
 * @throws AppError request.invalid when the sizes differ and there is no mode.
 */
export function fitPicture(picture: Picture, options: FitOptions): FittedPicture {
  const placement = planPlacement(picture, options)
  const changes = describePlacement(picture, placement, filter)
  return {
    picture: toPicture(placeRaster(toRaster(picture), placement, filter)),
    changes: changes.map((change) => `${options.field}: ${change}`),
  }
}
