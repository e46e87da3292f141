import { z } from 'zod'
import { labelName } from '../../shared/crd/common.ts'
import { filePath, mongodbAddress } from './fields.ts'
import { type Environment, readConfig } from './read-config.ts'

/** Variables of the audit program: where the api has its database, cluster and objects. */
const auditConfigSchema = z
  .object({
    MONGODB_URI: mongodbAddress,
    KUBECONFIG: filePath.optional(),
    ATELIER_OBJECTS_FOLDER: filePath,
    ATELIER_INSTALLATION: labelName.optional(),
  })
  .transform((environment) => ({
    mongodbUri: environment.MONGODB_URI,
    /** Without it the pod's own service account is used. */
    kubeconfigPath: environment.KUBECONFIG,
    objectsFolder: environment.ATELIER_OBJECTS_FOLDER,
    /** Where several share a cluster: only Departments with this label value are ours. */
    installation: environment.ATELIER_INSTALLATION,
  }))
export type AuditConfig = z.output<typeof auditConfigSchema>

export function readAuditConfig(environment?: Environment): AuditConfig {
  return readConfig(auditConfigSchema, environment)
}
