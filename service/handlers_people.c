#include "service/handlers_people.h"

void people_dispatch(struct call *call, const struct route_match *match, struct answer *answer,
                     struct errors *errors)
{
    (void)call, (void)answer;
    errors_add(errors, ERROR_NO_SUCH_PATH, NULL, "there is no path %.128s", match->route->path);
}
