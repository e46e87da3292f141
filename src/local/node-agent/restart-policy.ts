export type RestartBackoff = { readonly firstMs: number; readonly maxMs: number }

/** The kubelet's figures. It forgets after ten good minutes; this does not. */
export const kubeletBackoff: RestartBackoff = { firstMs: 10_000, maxMs: 300_000 }

/** How long to wait after an end before the next start; the first restart is free. */
export function restartDelayMs(restarts: number, { firstMs, maxMs }: RestartBackoff): number {
  return restarts === 0 ? 0 : Math.min(firstMs * 2 ** (restarts - 1), maxMs)
}

/** Whether a container that ended with this code is started again. */
export function mustRestart(
  policy: string | undefined,
  { exitCode, isFirst = false }: { readonly exitCode: number; readonly isFirst?: boolean },
): boolean {
  // A container that runs before the others has done its work when it ends well.
  if (isFirst && exitCode === 0) return false
  if (policy === 'Never') return false
  return policy !== 'OnFailure' || exitCode !== 0
}
