/** Values the controller's pure parts are given; main.ts reads them from the configuration. */
export type ControllerSettings = {
  readonly inferenceImage: string
  /** Base URL of the api's internal port as job pods reach it. */
  readonly podApiUrl: string
  /** Models that may run on the CPU do so when the cluster has no GPU at all. */
  readonly allowCpu: boolean
  /** First pause before a failed attempt is repeated; doubles with each failure. */
  readonly retryBaseMs: number
  /** Labels of the Nodes that may be used; empty means all. */
  readonly nodeSelector: Readonly<Record<string, string>>
}
