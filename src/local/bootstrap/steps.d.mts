/** Types of steps.mjs, which stays plain JavaScript because it also runs on Node 20. */
export type ProcessIdentity = { readonly pid: number; readonly started: string }

export declare function cacheFolder(
  environment?: Readonly<Record<string, string | undefined>>,
): string
export declare function runStep<T>(
  title: string,
  work: () => Promise<T>,
  options?: { readonly quietUnderMs?: number },
): Promise<T>
export declare function printLine(text: string, stream?: NodeJS.WritableStream): void
export declare function elapsed(ms: number): string
export declare function makeOnce(options: {
  readonly folder: string
  readonly title: string
  readonly make: (temporaryFolder: string) => Promise<void>
}): Promise<string>
export declare function lock(path: string): Promise<() => Promise<void>>
export declare function identityOf(pid: number): ProcessIdentity
export declare function isAlive(identity: ProcessIdentity): boolean
export declare function runLogged(options: {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly logFile: string
  readonly signal?: AbortSignal
}): Promise<void>
export declare function tailOf(path: string, lines?: number): Promise<string>
export declare function exists(path: string): Promise<boolean>
