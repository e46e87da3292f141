import type { Identified } from '../../platform/mongo/documents.ts'
import type { IdPage } from '../features/jobs/store.ts'

const limit = 500
const pagesMax = 10_000

/** All documents, page by page in the order of their ids, so that nothing is held in memory. */
export async function* eachById<T extends Identified>(
  read: (page: IdPage) => Promise<readonly T[]>,
): AsyncIterable<T> {
  for await (const documents of pagesById(read)) yield* documents
}

/** The same for what is looked up for a whole page at once: at most 500 documents each. */
export async function* pagesById<T extends Identified>(
  read: (page: IdPage) => Promise<readonly T[]>,
): AsyncIterable<readonly T[]> {
  let afterId = ''
  for (let page = 0; page < pagesMax; page += 1) {
    const documents = await read({ afterId, limit })
    if (documents.length > 0) yield documents
    const last = documents.at(-1)
    if (last === undefined || documents.length < limit) return
    afterId = last._id
  }
}
