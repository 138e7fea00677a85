// What WatermelonDB needs of RxJS; the build puts this in the place of its own list.

export {
  BehaviorSubject,
  catchError,
  defer,
  distinctUntilChanged,
  map,
  merge,
  multicast,
  Observable,
  of,
  ReplaySubject,
  startWith,
  Subject,
  switchMap,
  throttleTime,
} from "rxjs";
