/** What is promised, or an error once it is late; what was begun goes on by itself. */
export async function withDeadline<T>(
  promised: Promise<T>,
  deadlineMs: number,
  lateError: () => Error,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(lateError()), deadlineMs)
  try {
    return await Promise.race([promised, late])
  } finally {
    clearTimeout(timer)
  }
}
