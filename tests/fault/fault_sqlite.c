/*
 * The failing VFS and the failing allocator of fault_sqlite.h. Each file of the VFS owns one of SQLite's own
 * in the same memory and passes on what does not fail. No locks: see the header.
 */
#include "fault_sqlite.h"

#include <errno.h>
#include <stddef.h>

struct fault fault;
static sqlite3_vfs *system_vfs;

struct fault_file {
    sqlite3_file base;
    int type;
    sqlite3_file *real;
};

static bool fails(int call, int type) {
    if (fault.code == 0 || (fault.calls & call) == 0 || (fault.files != 0 && (fault.files & type) == 0)) {
        return false;
    }
    if (fault.countdown > 0) {
        fault.countdown--;
        return false;
    }
    if (!fault.lasting && fault.failures > 0) {
        return false;
    }
    fault.failures++;
    return true;
}

static sqlite3_file *real_of(sqlite3_file *file) {
    return ((struct fault_file *)file)->real;
}

static int type_of(sqlite3_file *file) {
    return ((struct fault_file *)file)->type;
}

/* The code a failing call answers: I/O errors say which call it was. */
static int code_for(int io_code) {
    errno = fault.error;
    return fault.code == SQLITE_IOERR ? io_code : fault.code;
}

static int fault_close(sqlite3_file *file) {
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int fault_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 offset) {
    if (fails(FAULT_READ, type_of(file))) {
        return code_for(SQLITE_IOERR_READ);
    }
    return real_of(file)->pMethods->xRead(real_of(file), bytes, len, offset);
}

static int fault_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset) {
    if (fails(FAULT_WRITE, type_of(file))) {
        if (fault.half) {
            (void)real_of(file)->pMethods->xWrite(real_of(file), bytes, len / 2, offset);
        }
        return code_for(SQLITE_IOERR_WRITE);
    }
    return real_of(file)->pMethods->xWrite(real_of(file), bytes, len, offset);
}

static int fault_truncate(sqlite3_file *file, sqlite3_int64 size) {
    if (fails(FAULT_TRUNCATE, type_of(file))) {
        return code_for(SQLITE_IOERR_TRUNCATE);
    }
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int fault_sync(sqlite3_file *file, int flags) {
    if (fails(FAULT_SYNC, type_of(file))) {
        if (fault.late) {
            (void)real_of(file)->pMethods->xSync(real_of(file), flags);
        }
        return code_for(SQLITE_IOERR_FSYNC);
    }
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int fault_file_size(sqlite3_file *file, sqlite3_int64 *ret) {
    return real_of(file)->pMethods->xFileSize(real_of(file), ret);
}

static int fault_lock(sqlite3_file *file, int level) {
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int fault_unlock(sqlite3_file *file, int level) {
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int fault_check_lock(sqlite3_file *file, int *ret) {
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int fault_control(sqlite3_file *file, int op, void *arg) {
    if (op == SQLITE_FCNTL_LAST_ERRNO && fault.failures > 0) {
        *(int *)arg = fault.error;
        return SQLITE_OK;
    }
    return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int fault_sector_size(sqlite3_file *file) {
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int fault_characteristics(sqlite3_file *file) {
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int fault_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret) {
    if (fails(FAULT_INDEX, type_of(file))) {
        return code_for(SQLITE_IOERR_SHMMAP);
    }
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, ret);
}

static int fault_shm_lock(sqlite3_file *file, int offset, int count, int flags) {
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void fault_shm_barrier(sqlite3_file *file) {
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int fault_shm_unmap(sqlite3_file *file, int remove_it) {
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove_it);
}

static const sqlite3_io_methods fault_methods = {
    .iVersion = 2,
    .xClose = fault_close,
    .xRead = fault_read,
    .xWrite = fault_write,
    .xTruncate = fault_truncate,
    .xSync = fault_sync,
    .xFileSize = fault_file_size,
    .xLock = fault_lock,
    .xUnlock = fault_unlock,
    .xCheckReservedLock = fault_check_lock,
    .xFileControl = fault_control,
    .xSectorSize = fault_sector_size,
    .xDeviceCharacteristics = fault_characteristics,
    .xShmMap = fault_shm_map,
    .xShmLock = fault_shm_lock,
    .xShmBarrier = fault_shm_barrier,
    .xShmUnmap = fault_shm_unmap,
};

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags) {
    (void)vfs;
    struct fault_file *mine = (struct fault_file *)file;
    mine->base.pMethods = NULL;
    mine->type = flags & 0x0fff00;
    mine->real = (sqlite3_file *)(mine + 1);
    if (fails(FAULT_OPEN, mine->type)) {
        return code_for(SQLITE_CANTOPEN);
    }
    int code = system_vfs->xOpen(system_vfs, name, mine->real, flags, ret_flags);
    if (mine->real->pMethods != NULL) {
        mine->base.pMethods = &fault_methods;
    }
    return code;
}

static int fault_last_error(sqlite3_vfs *vfs, int len, char *text) {
    (void)vfs;
    (void)len;
    (void)text;
    return fault.failures > 0 ? fault.error : 0;
}

static int install_vfs(void) {
    static sqlite3_vfs vfs;
    system_vfs = sqlite3_vfs_find(NULL);
    if (system_vfs == NULL) {
        return -1;
    }
    vfs = *system_vfs;
    vfs.zName = "fault";
    vfs.szOsFile = (int)sizeof(struct fault_file) + system_vfs->szOsFile;
    vfs.xOpen = fault_open;
    vfs.xGetLastError = fault_last_error;
    return sqlite3_vfs_register(&vfs, 1) == SQLITE_OK ? 0 : -1;
}

/* ---- SQLite's memory, failing on request ---- */

static sqlite3_mem_methods system_memory;
long fault_memory_countdown = -1;
bool fault_memory_failed;

static bool memory_fails(void) {
    if (fault_memory_countdown < 0 || fault_memory_countdown-- > 0) {
        return false;
    }
    fault_memory_failed = true;
    return true;
}

static void *fault_malloc(int size) {
    return memory_fails() ? NULL : system_memory.xMalloc(size);
}

static void *fault_realloc(void *old, int size) {
    return memory_fails() ? NULL : system_memory.xRealloc(old, size);
}

static int install_memory(void) {
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &system_memory) != SQLITE_OK) {
        return -1;
    }
    sqlite3_mem_methods methods = system_memory;
    methods.xMalloc = fault_malloc;
    methods.xRealloc = fault_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK ? 0 : -1;
}

int fault_install(void) {
    return install_memory() < 0 || install_vfs() < 0 ? -1 : 0;
}
