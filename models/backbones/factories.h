// One factory a backbone, defined in the file of its name for float and double.
#pragma once

#include <memory>

#include "models/backbone.h"

namespace sllmr {

template <class Real>
std::unique_ptr<Backbone<Real>> make_autoint(const Context& context, const BackboneOptions& options);
template <class Real>
std::unique_ptr<Backbone<Real>> make_dcnv1(const Context& context, const BackboneOptions& options);
template <class Real>
std::unique_ptr<Backbone<Real>> make_dcnv2(const Context& context, const BackboneOptions& options);
template <class Real>
std::unique_ptr<Backbone<Real>> make_deepfm(const Context& context, const BackboneOptions& options);
template <class Real>
std::unique_ptr<Backbone<Real>> make_din(const Context& context, const BackboneOptions& options);
template <class Real>
std::unique_ptr<Backbone<Real>> make_lightgcn(const Context& context, const BackboneOptions& options);
template <class Real>
std::unique_ptr<Backbone<Real>> make_mf(const Context& context, const BackboneOptions& options);
template <class Real>
std::unique_ptr<Backbone<Real>> make_xdeepfm(const Context& context, const BackboneOptions& options);

}  // namespace sllmr
