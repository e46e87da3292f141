/** For so long something may be missing before anything is done about it. */
export const missingForMs = 60_000
