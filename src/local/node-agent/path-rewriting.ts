/** A path inside the container and the folder or file on this machine that stands for it. */
export type PathRewrite = { readonly from: string; readonly to: string }

/**
 * Processes have no mount namespace, so a text that *starts with* a mounted path is turned into
 * the path on this machine; paths in the middle of a text stay. The longest mounted path wins,
 * as with nested mounts; between equals the first one, so callers put volumes before image paths.
 */
export function rewritePath(text: string, rewrites: readonly PathRewrite[]): string {
  let best: PathRewrite | undefined
  for (const rewrite of rewrites) {
    const from = withoutEndSlash(rewrite.from)
    const matches = text === from || text.startsWith(`${from}/`)
    if (matches && (best === undefined || from.length > best.from.length)) {
      best = { from, to: withoutEndSlash(rewrite.to) }
    }
  }
  return best === undefined ? text : best.to + text.slice(best.from.length)
}

function withoutEndSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}
