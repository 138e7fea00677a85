"""Files through obstore: a folder by default, any object store by URL."""

from __future__ import annotations

import obstore
from obstore.store import LocalStore, ObjectStore, from_url

from classweave.core.settings import Settings


class FileStore:
    """Named blobs. Names are paths that begin with the organisation's id."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def put(self, path: str, content: bytes) -> None:
        """Write ``content`` whole; readers see the old file or the new one."""
        await obstore.put_async(self._store, path, content)

    async def get(self, path: str) -> bytes:
        """Read a file whole; raises ``FileNotFoundError``."""
        result = await obstore.get_async(self._store, path)
        return bytes(await result.bytes_async())

    async def get_range(self, path: str, start: int, end: int) -> bytes:
        """Bytes ``start`` (inclusive) to ``end`` (exclusive)."""
        return bytes(await obstore.get_range_async(self._store, path, start=start, end=end))

    async def size(self, path: str) -> int:
        """Length in bytes; raises ``FileNotFoundError``."""
        return (await obstore.head_async(self._store, path))["size"]

    async def delete(self, path: str) -> None:
        """Remove a file; a missing one is fine."""
        try:
            await obstore.delete_async(self._store, path)
        except FileNotFoundError:
            return


def open_storage(settings: Settings) -> FileStore:
    """The store that the settings name."""
    if settings.files_url is not None:
        return FileStore(from_url(settings.files_url))
    folder = settings.data_dir / "files"
    folder.mkdir(parents=True, exist_ok=True)
    return FileStore(LocalStore(folder))
