export type Size = { readonly width: number; readonly height: number }

/** 8-bit RGB, row by row: three bytes per pixel. */
export type Picture = Size & { readonly pixels: Uint8Array }

/** 8-bit samples, row by row, `channels` of them per pixel. */
export type Raster = Size & { readonly channels: number; readonly samples: Uint8Array }

export function toRaster({ width, height, pixels }: Picture): Raster {
  return { width, height, channels: 3, samples: pixels }
}

export function toPicture({ width, height, samples }: Raster): Picture {
  return { width, height, pixels: samples }
}

export function isSameSize(one: Size, other: Size): boolean {
  return one.width === other.width && one.height === other.height
}

/** "640x480", as people write it. */
export function formatSize({ width, height }: Size): string {
  return `${width}x${height}`
}
