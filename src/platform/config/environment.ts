/** The environment for a child process: our own plus some variables. */
export function childEnvironment(
  extra: Readonly<Record<string, string>>,
): Record<string, string | undefined> {
  return { ...process.env, ...extra }
}
