/**
 * Starts works side by side. When one fails the others are aborted and waited for, so that a
 * build of minutes does not go on when another part is missing anyway.
 */
export async function together<Works extends readonly Promise<unknown>[] | []>(
  signal: AbortSignal,
  start: (signal: AbortSignal) => Works,
): Promise<{ -readonly [Index in keyof Works]: Awaited<Works[Index]> }> {
  const failed = new AbortController()
  const works = start(AbortSignal.any([signal, failed.signal]))
  try {
    return await Promise.all(works)
  } catch (error) {
    failed.abort(error)
    await Promise.allSettled(works)
    throw error
  }
}
