import { z } from 'zod'

const pageLimitMax = 100
const pageLimitDefault = 20

/** Query of every list. The cursor is opaque: it came with the page before as `next`. */
export const pageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(pageLimitMax).default(pageLimitDefault),
  cursor: z
    .string()
    .min(1)
    .max(256)
    .regex(/^[A-Za-z0-9_-]+$/)
    .optional(),
})
export type PageQuery = z.infer<typeof pageQuery>

/** One page of a list; `next` is the cursor of the page after it, or null at the end. */
export type Page<Item> = { readonly items: Item[]; readonly next: string | null }
