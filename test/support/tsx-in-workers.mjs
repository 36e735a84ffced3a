/** tsx alone leaves worker threads without TypeScript. */
import { isMainThread } from 'node:worker_threads'

if (!isMainThread) (await import('tsx/esm/api')).register()
