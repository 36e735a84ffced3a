// Networks and their training as plain data (lib/classifier/network.ts and training.ts), read into the core's
// words.
#pragma once

#include <napi.h>

#include "../cpu/classifier/classifier.h"
#include "../cpu/classifier/trainer.h"

namespace neural_lsh::addon {

cpu::NetworkDescription readNetwork(const Napi::Object& request);     // .network
cpu::Initialization readInitialization(const Napi::Object& request);  // .initialization
cpu::InputTransform readInputTransform(const Napi::Object& transform);
cpu::Classifier readClassifier(const Napi::Object& classifier);
cpu::Loss readLoss(const Napi::Object& request);                   // .loss
cpu::Precision readPrecision(const Napi::Object& request);         // .precision
cpu::OptimizerOptions readOptimizer(const Napi::Object& request);  // .optimizer, .regularization
cpu::ScheduleOptions readSchedule(const Napi::Object& request);    // .schedule
cpu::TrainingOptions readTraining(const Napi::Object& request);
/// .vectors, .dimensions, .labels, .bins, .neighbors, .neighborsPerRow, .softLabels and, if there, .heldOut
cpu::TrainingSet readTrainingSet(const Napi::Object& request);

/// The classifier's properties, and what training says of it, into `result`.
void setTrained(Napi::Object result, const cpu::TrainingResult& trained);

}  // namespace neural_lsh::addon
