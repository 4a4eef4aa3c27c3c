/*
 * Stands for a disk that loses power: an LD_PRELOAD library that writes down, in order, what a process does to the files
 * below the folders in POWER_CUT_DIRS (separated by colons), and which of it was waited for (fsync, fdatasync). Each record
 * goes to POWER_CUT_LOG in one write, so that it survives `kill -9`. `power-cut.ts` rebuilds from it what a disk would hold.
 *
 * Not seen: memory maps (only the -shm file of SQLite is written through one, and nobody needs it after a crash), and
 * io_uring, which Node does not use for files unless it is told to.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OP_OPEN = 1, OP_CREATE, OP_WRITE, OP_TRUNCATE, OP_SYNC, OP_RENAME, OP_UNLINK, OP_MKDIR, OP_SYNC_FOLDER };

#define MAX_FDS 4096
#define MAX_FILES 65536

struct record {
  uint32_t op;
  uint32_t file;
  uint64_t offset;
  uint32_t path;
  uint32_t data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static char dirs[PATH_MAX];
/* What an open descriptor leads to: the number of a file, or of a folder with FOLDER set. */
#define FOLDER 0x80000000u
static uint32_t of_fd[MAX_FDS];
static char *names[MAX_FILES];
/* As long as what was seen of it; a copy inside the kernel is not seen, and makes it longer. */
static off_t lengths[MAX_FILES];
static uint32_t count = 1;

__attribute__((constructor)) static void start(void) {
  const char *log = getenv("POWER_CUT_LOG");
  const char *given = getenv("POWER_CUT_DIRS");
  if (log == NULL || given == NULL || strlen(given) >= sizeof dirs) return;
  strcpy(dirs, given);
  log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  /* What this process starts is another machine. */
  unsetenv("LD_PRELOAD");
}

static int is_ours(const char *path) {
  if (log_fd < 0 || path == NULL || path[0] != '/') return 0;
  for (const char *dir = dirs; *dir != 0;) {
    size_t length = strcspn(dir, ":");
    if (strncmp(path, dir, length) == 0 && (path[length] == '/' || path[length] == 0)) return 1;
    dir += length + (dir[length] == ':');
  }
  return 0;
}

static void put(uint32_t op, uint32_t file, uint64_t offset, const char *path, const void *data, size_t length) {
  size_t named = path == NULL ? 0 : strlen(path);
  struct record record = {op, file, offset, (uint32_t)named, (uint32_t)length};
  struct iovec parts[] = {{&record, sizeof record}, {(void *)path, named}, {(void *)data, length}};
  if (syscall(SYS_writev, log_fd, parts, 3) < 0) abort();
}

static uint32_t find(const char *path) {
  for (uint32_t i = count; i-- > 1;)
    if (names[i] != NULL && strcmp(names[i], path) == 0) return i;
  return 0;
}

static uint32_t add(const char *path) {
  if (count >= MAX_FILES) abort();
  names[count] = strdup(path);
  return count++;
}

static void forget(const char *path) {
  uint32_t file = find(path);
  if (file == 0) return;
  free(names[file]);
  names[file] = NULL;
}

static uint32_t file_of(int fd) { return fd >= 0 && fd < MAX_FDS ? of_fd[fd] : 0; }

/* Everything below runs under the lock together with the real call, so that the order of the log is the order of the disk. */

static int opened(int fd, const char *path, int flags, int was_there) {
  if (fd < 0 || fd >= MAX_FDS) return fd;
  struct stat found;
  if (fstat(fd, &found) != 0) return fd;
  if (S_ISDIR(found.st_mode)) {
    uint32_t folder = find(path);
    if (folder == 0) folder = add(path);
    of_fd[fd] = folder | FOLDER;
    return fd;
  }
  if (!S_ISREG(found.st_mode)) return fd;
  uint32_t file = was_there ? find(path) : 0;
  if (!was_there) forget(path);
  if (file == 0) {
    file = add(path);
    put(was_there ? OP_OPEN : OP_CREATE, file, 0, path, NULL, 0);
    lengths[file] = was_there ? found.st_size : 0;
  }
  of_fd[fd] = file;
  if (was_there && (flags & O_TRUNC) != 0) {
    put(OP_TRUNCATE, file, 0, NULL, NULL, 0);
    lengths[file] = 0;
  }
  return fd;
}

static int do_open(int at, const char *path, int flags, mode_t mode) {
  if (!is_ours(path)) {
    int fd = syscall(SYS_openat, at, path, flags, mode);
    if (log_fd >= 0 && fd >= 0 && fd < MAX_FDS) of_fd[fd] = 0;
    return fd;
  }
  pthread_mutex_lock(&lock);
  int was_there = syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
  int fd = syscall(SYS_openat, at, path, flags, mode);
  int saved = errno;
  opened(fd, path, flags, was_there);
  errno = saved;
  pthread_mutex_unlock(&lock);
  return fd;
}

#define OPEN_MODE                                   \
  mode_t mode = 0;                                  \
  if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) { \
    va_list more;                                   \
    va_start(more, flags);                          \
    mode = va_arg(more, mode_t);                    \
    va_end(more);                                   \
  }

int open(const char *path, int flags, ...) {
  OPEN_MODE
  return do_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  OPEN_MODE
  return do_open(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...) {
  OPEN_MODE
  return do_open(at, path, flags, mode);
}

int close(int fd) {
  if (fd >= 0 && fd < MAX_FDS) of_fd[fd] = 0;
  return syscall(SYS_close, fd);
}

/* `offset` -1: at the position of the descriptor, or at the end. */
static ssize_t do_write(int fd, const void *data, size_t length, off_t offset) {
  uint32_t file = file_of(fd);
  if (file == 0 || log_fd < 0) {
    return offset < 0 ? syscall(SYS_write, fd, data, length) : syscall(SYS_pwrite64, fd, data, length, offset);
  }
  pthread_mutex_lock(&lock);
  int appends = (fcntl(fd, F_GETFL) & O_APPEND) != 0;
  off_t at = appends ? lseek(fd, 0, SEEK_END) : offset < 0 ? lseek(fd, 0, SEEK_CUR) : offset;
  if (at < 0) {
    /* Closed behind our back, and a socket or pipe by now. */
    of_fd[fd] = 0;
    pthread_mutex_unlock(&lock);
    return do_write(fd, data, length, offset);
  }
  ssize_t done = offset < 0 ? syscall(SYS_write, fd, data, length) : syscall(SYS_pwrite64, fd, data, length, offset);
  int saved = errno;
  if (done > 0) {
    put(OP_WRITE, file, at, NULL, data, done);
    if (at + done > lengths[file]) lengths[file] = at + done;
  }
  errno = saved;
  pthread_mutex_unlock(&lock);
  return done;
}

ssize_t write(int fd, const void *data, size_t length) { return do_write(fd, data, length, -1); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return do_write(fd, data, length, offset); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return do_write(fd, data, length, offset); }

static ssize_t do_writev(int fd, const struct iovec *parts, int parts_count, off_t offset) {
  if (file_of(fd) == 0 || log_fd < 0) {
    return offset < 0 ? syscall(SYS_writev, fd, parts, parts_count)
                      : syscall(SYS_pwritev, fd, parts, parts_count, offset, offset >> 32);
  }
  ssize_t total = 0;
  for (int i = 0; i < parts_count; i++) {
    ssize_t done = do_write(fd, parts[i].iov_base, parts[i].iov_len, offset < 0 ? -1 : offset + total);
    if (done < 0) return total > 0 ? total : done;
    total += done;
    if ((size_t)done < parts[i].iov_len) break;
  }
  return total;
}

ssize_t writev(int fd, const struct iovec *parts, int n) { return do_writev(fd, parts, n, -1); }
ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at) { return do_writev(fd, parts, n, at); }
ssize_t pwritev64(int fd, const struct iovec *parts, int n, off64_t at) { return do_writev(fd, parts, n, at); }

static int do_truncate(int fd, off_t length) {
  uint32_t file = file_of(fd);
  if (file == 0 || log_fd < 0) return syscall(SYS_ftruncate, fd, length);
  pthread_mutex_lock(&lock);
  int done = syscall(SYS_ftruncate, fd, length);
  int saved = errno;
  if (done == 0) {
    put(OP_TRUNCATE, file, length, NULL, NULL, 0);
    lengths[file] = length;
  }
  errno = saved;
  pthread_mutex_unlock(&lock);
  return done;
}

int ftruncate(int fd, off_t length) { return do_truncate(fd, length); }
int ftruncate64(int fd, off64_t length) { return do_truncate(fd, length); }

/* What a copy inside the kernel has put into a file, before it is waited for. */
static void put_unseen(int fd, uint32_t file) {
  struct stat found;
  if (fstat(fd, &found) != 0 || found.st_size == lengths[file]) return;
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int from = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  char *bytes = malloc(found.st_size + 1);
  ssize_t got = from < 0 || bytes == NULL ? -1 : syscall(SYS_pread64, from, bytes, found.st_size, 0);
  if (got > 0) put(OP_WRITE, file, 0, NULL, bytes, got);
  lengths[file] = found.st_size;
  free(bytes);
  if (from >= 0) syscall(SYS_close, from);
}


static int do_sync(long call, int fd) {
  uint32_t file = file_of(fd);
  if (file == 0 || log_fd < 0) return syscall(call, fd);
  pthread_mutex_lock(&lock);
  /* The real disk is slow and is not what is tested: the log is what counts. */
  if (file & FOLDER) put(OP_SYNC_FOLDER, 0, 0, names[file & ~FOLDER], NULL, 0);
  else {
    put_unseen(fd, file);
    put(OP_SYNC, file, 0, NULL, NULL, 0);
  }
  pthread_mutex_unlock(&lock);
  return 0;
}

int fsync(int fd) { return do_sync(SYS_fsync, fd); }
int fdatasync(int fd) { return do_sync(SYS_fdatasync, fd); }

int rename(const char *from, const char *to) {
  if (!is_ours(from) && !is_ours(to)) return syscall(SYS_rename, from, to);
  pthread_mutex_lock(&lock);
  int done = syscall(SYS_rename, from, to);
  int saved = errno;
  if (done == 0) {
    uint32_t file = find(from);
    if (file == 0) {
      file = add(from);
      put(OP_OPEN, file, 0, from, NULL, 0);
    }
    forget(to);
    free(names[file]);
    names[file] = strdup(to);
    put(OP_RENAME, file, 0, from, to, strlen(to));
  }
  errno = saved;
  pthread_mutex_unlock(&lock);
  return done;
}

int unlink(const char *path) {
  if (!is_ours(path)) return syscall(SYS_unlink, path);
  pthread_mutex_lock(&lock);
  int done = syscall(SYS_unlink, path);
  int saved = errno;
  if (done == 0) {
    forget(path);
    put(OP_UNLINK, 0, 0, path, NULL, 0);
  }
  errno = saved;
  pthread_mutex_unlock(&lock);
  return done;
}

int mkdir(const char *path, mode_t mode) {
  if (!is_ours(path)) return syscall(SYS_mkdir, path, mode);
  pthread_mutex_lock(&lock);
  int done = syscall(SYS_mkdir, path, mode);
  int saved = errno;
  if (done == 0) put(OP_MKDIR, 0, 0, path, NULL, 0);
  errno = saved;
  pthread_mutex_unlock(&lock);
  return done;
}
