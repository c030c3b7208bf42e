/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The screen of a definition: refused by name, or as xylemd takes it. Pure, as conf.h is. */
#ifndef XYLEM_SCREENCHECK_H
#define XYLEM_SCREENCHECK_H

#include "internal.h"
#include "domain_conf.h"

/* Of all of its screen, and of each part of one. */
#define SCREEN_VRAM_KIB 4096 /* which libvirt writes into a <video> of its own making */
int check_screen(const virDomainDef *def);
int check_graphics(const virDomainGraphicsDef *graphics);
int check_video(const virDomainVideoDef *video);
int check_input(const virDomainInputDef *input);
/* The screens of a guest that has <graphics>, as xylemd takes them: an aa{sv}, floating. */
GVariant *conf_screens(const virDomainDef *def);

#endif
