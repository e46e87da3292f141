import type { StoredObject } from '../../../platform/objects/store.ts'

/** Types that a browser may show; everything else is only ever saved. */
const shownTypes = new Set(['image/png', 'image/jpeg', 'image/webp'])
const savedType = 'application/octet-stream'

/**
 * Whatever was uploaded, it cannot run: no guessing of types, a sandbox, and a name of ours. The
 * bytes of a key never change, so a cache may keep them for as long as it likes.
 */
export function objectHeaders(object: StoredObject): Readonly<Record<string, string | number>> {
  const { key, contentType, sizeBytes, sha256 } = object
  const isShown = shownTypes.has(contentType)
  const disposition = isShown ? 'inline' : 'attachment'
  return {
    'content-type': isShown ? contentType : savedType,
    'content-length': sizeBytes,
    'content-disposition': `${disposition}; filename="${fileNameOf(key)}"`,
    'content-security-policy': "default-src 'none'; sandbox; frame-ancestors 'none'",
    'cache-control': 'private, max-age=31536000, immutable',
    etag: `"${sha256}"`,
  }
}

function fileNameOf(key: string): string {
  const name = key.split('/').at(-1) ?? ''
  return name.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(-128) || 'object'
}
