/** Where the embedded environment keeps what is ours in its database. */
export const databaseName = 'atelier'

/** Adds a database name to a mongodb:// address that has none; a list of hosts is no URL. */
export function withDatabaseName(uri: string, name: string): string {
  const [, hosts = uri, database = '', query = ''] =
    /^(mongodb(?:\+srv)?:\/\/[^/?]+)\/?([^?]*)(\?.*)?$/.exec(uri) ?? []
  return `${hosts}/${database === '' ? name : database}${query}`
}
