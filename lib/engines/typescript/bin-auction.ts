/** Bins of bounded size: overfull ones raise their prices until the rows whom it costs least have gone elsewhere (the
 * auction of Bertsekas, 1988); what is still too much then goes to where there is room. */
import { squaredDistance } from './distances.js'
import type { Nearest } from './exact-neighbors.js'
import { Heap } from './heap.js'
import type { Steps } from './turns.js'

const mostRounds = 20 // later ones only pass the last rows to and fro
const rowsOfStep = 64

/** For each row one of its candidates, the nearest centroids, or, if all of these are full, another bin. */
export function* assignWithinCapacity(
  vectors: Float32Array,
  centroids: Float32Array,
  dimensions: number,
  candidates: Nearest,
  capacity: number
): Steps<Int32Array> {
  const auction = new Auction(vectors, centroids, dimensions, candidates, capacity)
  for (let round = 0, raised = true; raised && round < mostRounds; round++) {
    raised = false
    for (const bin of auction.overfull()) {
      if (auction.raisePrice(bin)) raised = true
      yield 0
    }
  }
  for (const bin of auction.overfull()) yield* auction.settle(bin)
  return auction.labels
}

/** What it costs a row to go to another bin. */
interface Offer {
  row: number
  bin: number
  loss: number
}

class Auction {
  readonly labels: Int32Array
  private readonly bins: number
  private readonly members: number[][]
  private readonly prices: Float64Array

  constructor(
    private readonly vectors: Float32Array,
    private readonly centroids: Float32Array,
    private readonly dimensions: number,
    private readonly candidates: Nearest,
    private readonly capacity: number
  ) {
    const rows = vectors.length / dimensions
    const perRow = candidates.ids.length / rows
    this.bins = centroids.length / dimensions
    this.labels = Int32Array.from({ length: rows }, (_, row) => candidates.ids[row * perRow] as number)
    this.members = Array.from({ length: this.bins }, () => [])
    for (const [row, bin] of this.labels.entries()) this.members[bin]?.push(row)
    this.prices = new Float64Array(this.bins)
  }

  overfull(): number[] {
    return Array.from(this.members.keys()).filter((bin) => this.sizeOf(bin) > this.capacity)
  }

  /** Lets those go whom it costs least, at the price at which they do; returns whether there were any. */
  raisePrice(bin: number): boolean {
    const price = (other: number) => this.prices[other] as number
    const offers = (this.members[bin] as number[])
      .map((row) => this.bestCandidate(row, price))
      .filter((offer) => offer.bin >= 0)
      .sort((a, b) => a.loss - b.loss || a.row - b.row)
      .slice(0, this.sizeOf(bin) - this.capacity)
    for (const offer of offers) this.move(offer)
    this.prices[bin] = offers.at(-1)?.loss ?? (this.prices[bin] as number)
    this.forgetMoved(bin)
    return offers.length > 0
  }

  /** The same without prices, only to bins with room. */
  *settle(bin: number): Steps<void> {
    const leaving = new Heap(this.labels.length)
    const offers = new Map<number, Offer>()
    const ask = (row: number) => {
      const offer = this.bestWithRoom(row)
      offers.set(row, offer)
      leaving.set(row, -offer.loss)
    }
    for (const [i, row] of (this.members[bin] as number[]).entries()) {
      ask(row)
      if (i % rowsOfStep === 0) yield 0
    }
    for (let excess = this.sizeOf(bin) - this.capacity; excess > 0; ) {
      const offer = offers.get(leaving.pop()) as Offer
      if (this.hasRoom(offer.bin)) {
        this.move(offer)
        excess--
      } else {
        ask(offer.row)
      }
    }
    this.forgetMoved(bin)
  }

  private sizeOf(bin: number): number {
    return (this.members[bin] as number[]).length
  }

  private hasRoom(bin: number): boolean {
    return this.sizeOf(bin) < this.capacity
  }

  /** The candidate, other than its own bin, for which price + distance is least. */
  private bestCandidate(row: number, price: (bin: number) => number): Offer {
    const { ids, distances } = this.candidates
    const perRow = ids.length / this.labels.length
    const own = this.labels[row] as number
    const best = { row, bin: -1, loss: Number.POSITIVE_INFINITY }
    for (let i = row * perRow; i < (row + 1) * perRow; i++) {
      const bin = ids[i] as number
      const loss = price(bin) + (distances[i] as number)
      if (bin !== own && loss < best.loss) Object.assign(best, { bin, loss })
    }
    best.loss -= this.distanceTo(row, own)
    return best
  }

  private bestWithRoom(row: number): Offer {
    const near = this.bestCandidate(row, (bin) => (this.hasRoom(bin) ? 0 : Number.POSITIVE_INFINITY))
    if (near.bin >= 0) return near
    const best = { row, bin: -1, loss: Number.POSITIVE_INFINITY }
    for (let bin = 0; bin < this.bins; bin++) {
      if (!this.hasRoom(bin)) continue
      const loss = this.distanceTo(row, bin)
      if (loss < best.loss) Object.assign(best, { bin, loss })
    }
    best.loss -= this.distanceTo(row, this.labels[row] as number)
    return best
  }

  private distanceTo(row: number, bin: number): number {
    return squaredDistance(this.vectors, row, this.centroids, bin, this.dimensions)
  }

  private move({ row, bin }: Offer): void {
    this.labels[row] = bin
    this.members[bin]?.push(row)
  }

  /** Takes those who have left from the bin's members. */
  private forgetMoved(bin: number): void {
    this.members[bin] = (this.members[bin] as number[]).filter((row) => this.labels[row] === bin)
  }
}
