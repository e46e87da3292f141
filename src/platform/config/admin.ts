import { z } from 'zod'
import { filePath, mongodbAddress } from './fields.ts'
import { type Environment, readConfig } from './read-config.ts'

/** Variables of the admin program: the same database and secrets as the api's. */
const adminConfigSchema = z
  .object({ MONGODB_URI: mongodbAddress, ATELIER_SECRETS_FOLDER: filePath })
  .transform((environment) => ({
    mongodbUri: environment.MONGODB_URI,
    secretsFolder: environment.ATELIER_SECRETS_FOLDER,
  }))
export type AdminConfig = z.output<typeof adminConfigSchema>

export function readAdminConfig(environment?: Environment): AdminConfig {
  return readConfig(adminConfigSchema, environment)
}
