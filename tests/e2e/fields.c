/*
 * Prints the service's own table of what each daemon can express of a list, for fields_test.py: the test must
 * know every field that the service knows, without a second list kept by hand.
 */
#include <stdio.h>

#include "base/buf.h"
#include "render.h"

int main(void) {
    struct buf table = BUF_INIT;
    render_fields_table(&table);
    bool good = !buf_failed(&table) && fwrite(table.data, 1, table.len, stdout) == table.len;
    buf_done(&table);
    return good && fflush(stdout) == 0 ? 0 : 1;
}
