// The jobs that match a filter, page by page: never all of them, and never more rows than a browser draws at once.

import { getJson } from "./api.js";
import { queryOf } from "./route.js";

const PAGE_ROWS = 100;
const ENOUGH_ROWS = 50;
const MOST_ROWS = 500;
const MOST_REQUESTS = 40;
const MOST_REFRESHED = 6;

const FRESH = { jobs: [], next: "", isBusy: false, isCut: false, isKeptUp: true, error: null };

/** Pages in a row. `tell` `{jobs, next, isBusy, isCut, isKeptUp, error}` when that changes; `next` is null at the end.
 *
 * What took many requests to find is not asked for again by itself: `isKeptUp` is false then.
 */
export class Listing {
  constructor(realm, filter, tell) {
    this.base = `status/${realm}/jobs?${queryOf(filter, { limit: PAGE_ROWS })}`;
    this.pages = [];
    this.state = FRESH;
    this.tell = tell;
    this.leaving = new AbortController();
  }

  leave() {
    this.leaving.abort();
  }

  /** The next page that has something in it: one may be empty although others follow, so it asks on for a while. */
  more() {
    return this.busily(async () => {
      let found = 0;
      for (let asked = 0; asked < MOST_REQUESTS && found < ENOUGH_ROWS && this.state.next !== null; asked += 1) {
        const after = this.state.next;
        const page = await this.page(after);
        this.pages.push({ after, page });
        found += page.jobs.length;
        this.show(true);
      }
    });
  }

  restart() {
    this.pages = [];
    this.state = FRESH;
    return this.more();
  }

  /** What is shown, as it is now. Nothing is told where nothing has changed. */
  async refresh() {
    if (this.state.isBusy || !this.pages.length || !this.state.isKeptUp) return;
    const fresh = [];
    let { after } = this.pages[0];
    try {
      while (fresh.length < this.pages.length && after !== null) {
        const page = await this.page(after);
        fresh.push({ after, page });
        after = page.next ?? null;
      }
    } catch {
      return; // the page says elsewhere that the service is lost
    }
    const isNew = fresh.some(({ page }, index) => page !== this.pages[index].page);
    if (!(isNew || fresh.length < this.pages.length) || this.state.isBusy || this.leaving.signal.aborted) return;
    this.pages = fresh;
    this.show(false);
  }

  page(after) {
    return getJson(after ? `${this.base}&after=${encodeURIComponent(after)}` : this.base, this.leaving.signal);
  }

  async busily(work) {
    if (this.state.isBusy) return;
    this.set({ ...this.state, isBusy: true, error: null });
    try {
      await work();
      this.set({ ...this.state, isBusy: false });
    } catch (error) {
      if (!this.leaving.signal.aborted) this.set({ ...this.state, isBusy: false, error });
    }
  }

  show(isBusy) {
    let rows = this.pages.reduce((sum, { page }) => sum + page.jobs.length, 0);
    let { isCut } = this.state;
    while (rows > MOST_ROWS && this.pages.length > 1) {
      rows -= this.pages.shift().page.jobs.length;
      isCut = true;
    }
    const next = this.pages.at(-1).page.next ?? null;
    const jobs = this.pages.flatMap(({ page }) => page.jobs);
    this.set({ jobs, next, isBusy, isCut, isKeptUp: this.pages.length <= MOST_REFRESHED, error: null });
  }

  set(state) {
    this.state = state;
    if (!this.leaving.signal.aborted) this.tell(state);
  }
}
