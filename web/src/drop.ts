/** What is dropped on the page: files, and those in folders. */

function filesIn(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile)
    return new Promise((resolve) => (entry as FileSystemFileEntry).file((file) => resolve([file]), () => resolve([])));
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  // A reader hands over some at a time, and none at its end.
  const some = () => new Promise<FileSystemEntry[]>((resolve) => reader.readEntries(resolve, () => resolve([])));
  const all = async (): Promise<File[]> => {
    const found = await some();
    if (!found.length) return [];
    return [...(await Promise.all(found.map(filesIn))).flat(), ...(await all())];
  };
  return all();
}

/** Every file that is dropped, in the order of their names where a folder is among them; hidden ones are left out. */
export async function dropped(carried: DataTransfer): Promise<File[]> {
  const plain = [...carried.files];
  const entries = [...carried.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (!entries.some((entry) => entry.isDirectory)) return plain;
  const files = (await Promise.all(entries.map(filesIn))).flat().filter(({ name }) => !name.startsWith("."));
  return files.sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
}
