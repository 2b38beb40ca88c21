//! Objectives over environments: IRM, V-REx, GroupDRO, CORAL, MMD, DANN, Mixup.
