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
  readonly packs: PackSettings
  /** LocalQueue of Kueue for jobs that name none; absent: they are admitted here. */
  readonly kueueLocalQueue?: string | undefined
}

/** Where packs of delivery Fetch come from and how much room they get. */
export type PackSettings = {
  /** Base of hf:// addresses. */
  readonly huggingFaceUrl: string
  /** Base of s3:// addresses, which are served path-style; absent: there is no s3://. */
  readonly s3Url?: string | undefined
  readonly s3Region: string
  /** Bytes of the packs on one claim together; absent: as much as the volume holds. */
  readonly cacheBytes?: number | undefined
  /** Bytes of the packs that one pod fetches for itself. */
  readonly scratchBytes: number
  /** http:// to the machine's own addresses, for tests. */
  readonly allowHttp: boolean
}
