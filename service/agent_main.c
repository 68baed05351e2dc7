/* The node agent's program: bgppeer-agent. All of it is in the agent's room. */
#include "agent.h"

int main(int argc, char **argv) {
    return agent_run(argc, argv);
}
