/* The program: everything is a command of the command-line room. */
#include "cli.h"

int main(int argc, char **argv) {
    return cli_run(argc, argv);
}
