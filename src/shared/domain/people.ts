/** A deleted person keeps a row without name and address, for the history of their jobs. */
export const userStates = ['Active', 'Disabled', 'Deleted'] as const
export type UserState = (typeof userStates)[number]
