/** Where what fails on its own is told. */
export type ItemLog = { readonly warn: (fields: object, sentence: string) => void }

export type Item = { readonly id: string; readonly log: ItemLog }

/**
 * Serves one item of many. One that fails is told of and left for the next turn: it must not keep
 * those behind it waiting.
 */
export async function serveItem({ id, log }: Item, serve: () => Promise<unknown>): Promise<void> {
  try {
    await serve()
  } catch (error) {
    log.warn({ err: error, id }, 'an item failed and is left for the next turn')
  }
}
