import { z } from 'zod'
import { KubeError } from './errors.ts'

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: T }
  | { readonly type: 'ERROR'; readonly object: unknown }

/** Checked is what the list-watch itself relies on; the rest is the API server's own schema. */
const schema = z.union([
  z.object({
    type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']),
    object: z.looseObject({
      metadata: z.looseObject({ resourceVersion: z.string().regex(/^\d{1,39}$/) }),
    }),
  }),
  z.object({ type: z.literal('ERROR'), object: z.unknown() }),
])

/** Reads one line of a watch. */
export function parseWatchEvent<T>(line: string): WatchEvent<T> {
  const parsed = schema.safeParse(parseJson(line))
  if (!parsed.success) {
    throw new KubeError({
      status: 500,
      reason: 'BadEvent',
      message: `the watch sent something that is not an event: ${line.slice(0, 100)}`,
    })
  }
  // The kind that was asked for is the kind that comes: the API server guards its schema.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
  return parsed.data as WatchEvent<T>
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
